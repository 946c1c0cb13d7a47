"""What training and translation cost, here and on other machines."""

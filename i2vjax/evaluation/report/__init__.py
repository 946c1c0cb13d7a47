"""An evaluation to look at: its words and numbers, its pictures, the page that holds them."""

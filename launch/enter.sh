# Sourced by the other scripts, with the extras as argument: makes the environment and enters it.
I2VJAX_QUIET=1 bash launch/setup.sh "${1:-}"
venv=${I2VJAX_VENV:-$PWD/.venv}
export PATH="$venv/bin:$PATH"

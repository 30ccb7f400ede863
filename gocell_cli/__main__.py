"""`python -m gocell_cli`: the command line where the script `gocell` is not on the path."""

from gocell_cli.commands.app import main

if __name__ == "__main__":
    main()

"""The command line, `qai`: it reads options, asks the layers below, and prints."""

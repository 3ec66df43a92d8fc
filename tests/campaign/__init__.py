"""A campaign against the command line: seeded hostile lines over all commands, each in a process of its own."""

"""Read tables as other programs write them: statistics packages, spreadsheets, Arrow."""

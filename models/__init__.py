"""What a model is: classes, front end, windows, decisions, bundle. Shared by training and streaming."""

"""Stand-ins for Slicer's own widgets: nodes, segments, the segment editor, terminology. Imports ctk and the registry."""

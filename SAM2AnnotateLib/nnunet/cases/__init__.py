"""One case and the plan of all: images, segments, masks, which segment is which label, splits. Imports no other room of nnunet."""

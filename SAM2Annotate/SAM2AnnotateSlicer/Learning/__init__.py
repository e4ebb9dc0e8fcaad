"""Learning from what was annotated: a model that knows the object, prototypes, proposals. Imports Model, Scene and Review."""

"""What a study is to do: study.yaml, read and checked. Imports simulation, nnunet and what lies below them; no other room of the study."""

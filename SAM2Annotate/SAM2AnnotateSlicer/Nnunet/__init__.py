"""Export to nnU-Net, its page, and predictions back as proposals. Imports Scene, Model and Review."""

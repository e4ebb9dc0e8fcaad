"""A folder of volumes and its page. Imports Scene and Review."""

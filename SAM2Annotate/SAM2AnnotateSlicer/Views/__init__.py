"""Mouse and slice views: box, points, strip, badges. Imports Scene and Review."""

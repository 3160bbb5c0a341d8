"""Pages that are rendered here, for people with a browser and nothing else."""

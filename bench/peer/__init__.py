"""A minimal site of django-allauth, that offers what Countersign does and nothing else."""

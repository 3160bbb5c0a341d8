"""The same journey through django-allauth itself and through Countersign, compared step by step."""

from hypothesis import settings

# The same examples in every run, none kept on disk; a busy machine is no failure.
settings.register_profile("lifeboat", derandomize=True, database=None, deadline=None)
settings.load_profile("lifeboat")

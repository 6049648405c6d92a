"""What serves: FastAPI over one registry of tasks; the only room that knows HTTP."""

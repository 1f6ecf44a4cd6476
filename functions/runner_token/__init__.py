"""GitHub's word for a job, exchanged for fifteen minutes of one run."""

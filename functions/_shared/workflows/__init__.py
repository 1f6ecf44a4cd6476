"""GitHub, as far as the serverless half touches it: starting a workflow and finding one that was started."""

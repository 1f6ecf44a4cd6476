"""The GitHub double: REST API and smart HTTP over real bare repositories, Actions runs, the OIDC issuer for jobs."""

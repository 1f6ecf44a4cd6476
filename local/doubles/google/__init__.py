"""The Google double: identity (certificates, tokens), the Gmail API, the receiving mail server and Pub/Sub push."""

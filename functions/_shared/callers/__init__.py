"""Who calls: a Google service account by its ID token, or our database by its HMAC. Else nobody."""

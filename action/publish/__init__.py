"""Publishing: the report in its forms, the artifacts, the branch and the pull request."""

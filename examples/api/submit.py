"""Hands a specification in with the official Supabase client, as a signed-in user, and follows it.

    SUPABASE_URL=https://… SUPABASE_PUBLISHABLE_KEY=sb_publishable_… SPECS_URL=https://… \
        ACCESS_TOKEN=… python submit.py spec.yaml

ACCESS_TOKEN is the user's: client.auth.sign_in_with_password({…}).session.access_token.
"""

import hashlib
import os
import sys
from pathlib import Path

import httpx
from supabase import ClientOptions, create_client

as_user = {"Authorization": f"Bearer {os.environ['ACCESS_TOKEN']}"}
client = create_client(
    os.environ["SUPABASE_URL"], os.environ["SUPABASE_PUBLISHABLE_KEY"], ClientOptions(headers=as_user)
)
api = httpx.Client(base_url=os.environ["SPECS_URL"], headers=as_user, timeout=60)
content = Path(sys.argv[1]).read_bytes()

# 1. Say what is coming; 2. store it; 3. have it built.
declared = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "content_type": "application/yaml"}
upload = api.post("/specs/uploads", json=declared).raise_for_status().json()["data"]
client.storage.from_(upload["bucket"]).upload_to_signed_url(
    upload["path"], upload["token"], content, {"content-type": "application/yaml"}
)
spec = api.post(upload["submit"]).raise_for_status().json()["data"]

# What a member may see he can read without us, too: the same rows, under the policies of his own token.
page = client.rpc("show_spec_v1", {"p_spec_id": spec["id"]}).execute().data
print(spec["id"], page["state"], [sprint["label"] for sprint in page["sprints"]])

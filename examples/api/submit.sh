#!/bin/sh
# Hands a specification in with nothing but curl: through a signed URL, so that it may have any size up to 1 MiB.
#   SPECS_URL=https://… AICD_API_KEY=aicd_… ./submit.sh spec.yaml
set -eu
file=$1
fail() { # WHAT WAS ANSWERED
  echo "$1" >&2
  exit 1
}
ask() { # METHOD PATH [CURL OPTIONS…]; --fail-with-body: a refusal's reason is in the answer
  method=$1 path=$2
  shift 2
  curl --silent --show-error --fail-with-body --request "$method" "$SPECS_URL$path" \
    --header "Authorization: Bearer $AICD_API_KEY" "$@"
}
value_of() { sed -n "s/.*\"$1\": \"\([^\"]*\)\".*/\1/p"; }

sha256=$(sha256sum "$file" | cut -d ' ' -f 1)
size=$(wc -c <"$file" | tr -d ' ')
upload=$(ask POST /specs/uploads --header 'Content-Type: application/json' --header "Idempotency-Key: upload-$sha256" \
  --data "{\"sha256\": \"$sha256\", \"size\": $size, \"content_type\": \"application/yaml\"}") || fail "$upload"
stored=$(curl --silent --show-error --fail-with-body --request PUT --header 'Content-Type: application/yaml' \
  --data-binary "@$file" "$(echo "$upload" | value_of url)") || case $stored in
  *Duplicate*) ;; # this file was stored by an earlier call, and what is stored cannot be replaced
  *) fail "$stored" ;;
esac
ask POST "$(echo "$upload" | value_of submit)"

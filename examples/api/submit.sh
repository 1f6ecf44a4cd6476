#!/bin/sh
# Hands a specification in with nothing but curl: through a signed URL, so that it may have any size up to 1 MiB.
#   SPECS_URL=https://… AICD_API_KEY=aicd_… ./submit.sh spec.yaml
set -eu
file=$1
ask() { # METHOD PATH [CURL OPTIONS…]; --fail-with-body: a refusal's reason is printed, and ends the script
  method=$1 path=$2
  shift 2
  curl --silent --show-error --fail-with-body --request "$method" "$SPECS_URL$path" \
    --header "Authorization: Bearer $AICD_API_KEY" "$@"
}
value_of() { sed -n "s/.*\"$1\": \"\([^\"]*\)\".*/\1/p"; }

sha256=$(sha256sum "$file" | cut -d ' ' -f 1)
size=$(wc -c <"$file" | tr -d ' ')
upload=$(ask POST /specs/uploads --header 'Content-Type: application/json' --header "Idempotency-Key: upload-$sha256" \
  --data "{\"sha256\": \"$sha256\", \"size\": $size, \"content_type\": \"application/yaml\"}")
curl --silent --show-error --fail-with-body --output /dev/null --request PUT --header 'Content-Type: application/yaml' \
  --data-binary "@$file" "$(echo "$upload" | value_of url)"
ask POST "$(echo "$upload" | value_of submit)"

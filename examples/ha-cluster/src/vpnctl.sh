#!/bin/sh
# What a VPN daemon's own tool would be: gives and takes access on a server, and says who has it. Its state is a folder for each
# server with a file for each user; every change is a line of the ledger.
#   vpnctl.sh FOLDER grant|revoke SERVER USER TOKEN EPOCH
#   vpnctl.sh FOLDER list SERVER
set -eu
cd "$1"
what=$2 server=$3
case $what in
grant)
  [ -d "$server" ] || mkdir -p "$server"
  : >"$server/$4"
  echo "grant $server $4 $5 $6" >>ledger
  ;;
revoke)
  rm -f "$server/$4"
  echo "revoke $server $4 $5 $6" >>ledger
  ;;
list)
  separator=
  printf '['
  for file in "$server"/*; do
    [ -e "$file" ] || continue
    printf '%s{"connectionId":"%s","payload":null}' "$separator" "${file##*/}"
    separator=,
  done
  printf ']'
  ;;
*)
  echo "unknown: $what" >&2
  exit 2
  ;;
esac

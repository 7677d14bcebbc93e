#!/bin/sh
# cargo runs this in place of rustc for the crates of this workspace. The exporter's binary, and nothing else
# (a proc-macro cannot be), is linked statically: one file that runs anywhere.
rustc=$1
shift
case " $* " in
*" --crate-name nodetally "* | *" --crate-name nodetally_load "*) set -- "$@" -C target-feature=+crt-static -C relocation-model=static ;;
esac
exec "$rustc" "$@"

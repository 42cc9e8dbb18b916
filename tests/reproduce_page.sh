#!/usr/bin/env bash
# The page of `cargo xtask reproduce` in headless Chromium: no console error, tables sort, photographs appear under the pointer.
#
#   tests/reproduce_page.sh PAGE [SCREENSHOT.png]      PAGE is target/reproduce/NAME/report.html
#
# Exit status 0 and one line of what was seen, or 1 and what is wrong. Needs Debian's package chromium.
set -euo pipefail

page=${1:?usage: $0 PAGE [SCREENSHOT.png]}
here=$(cd "$(dirname "$0")" && pwd)
browser=$(command -v chromium || command -v chromium-browser) || { echo "skipped: chromium is not installed"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The page itself with the test behind it; what is tested is the file as it was written.
{ cat "$page"; printf '<script>\n'; cat "$here/reproduce_page.js"; printf '</script>\n'; } > "$work/tested.html"

chromium() {
    "$browser" --headless=new --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/profile" \
        --enable-logging=stderr --virtual-time-budget=10000 "$@" 2> "$work/log"
}

chromium --dump-dom "file://$work/tested.html" > "$work/dom.html"
if grep -E 'CONSOLE.*(Uncaught|Error|error)' "$work/log"; then
    echo "the console has errors"
    exit 1
fi
result=$(grep -o 'data-tested="[^"]*"' "$work/dom.html" | head -1 | cut -d'"' -f2)
case $result in
    passed*) echo "$result" ;;
    *) echo "${result:-the test did not come to its end}"; exit 1 ;;
esac

if [ $# -gt 1 ]; then
    chromium --window-size=1280,5200 --screenshot="$2" "file://$(realpath "$page")" > /dev/null
    echo "screenshot: $2"
fi

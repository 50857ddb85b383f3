#!/bin/sh
# github.com/getsops/sops 3.13.3 decrypts other values than the encrypted ones.
#
# Numbers of YAML and JSON are kept as numbers: 0123 becomes 83, 1.10 becomes 1.1,
# and an integer of 20 digits is rounded. A value in an .ini file is cut at # and ;
# within quotes too. With --output-type json, all documents of a YAML file but the
# first are left out. sops reports none of these, and ends with exit code 0.
#
# Ends with 0 if sops still does so. Needs Go and a module proxy; building takes
# minutes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
GOBIN=$dir go install github.com/getsops/sops/v3/cmd/sops@v3.13.3 >log 2>&1 || { cat log; exit 2; }
GOBIN=$dir go install filippo.io/age/cmd/age-keygen@v1.3.2 >log 2>&1 || { cat log; exit 2; }
./age-keygen -o key 2>log
to=$(sed -n 's/^# public key: //p' key)
export SOPS_AGE_KEY_FILE="$dir/key"
printf 'a: 0123\nb: 1.10\n' >numbers.yaml
printf '{"n":12345678901234567890}' >number.json
printf '[db]\np = a;b#c\nq = "x;y"\n' >cut.ini
printf 'a: first\n---\na: second\n' >stream.yaml
for file in numbers.yaml number.json cut.ini stream.yaml; do
	./sops encrypt --age "$to" --in-place "$file"
	./sops decrypt --output-type json "$file" | tr -d ' \t\n'
	echo
done >seen 2>&1
cat >expected <<'OUT'
{"a":83,"b":1.1}
{"n":12345678901234567000}
{"DEFAULT":{},"db":{"p":"a","q":"\"x"}}
{"a":"first"}
OUT
if cmp -s expected seen; then
	echo "sops 3.13.3:"
	cat seen
	exit 0
fi
echo "sops does something else now:"
diff expected seen || true
exit 1

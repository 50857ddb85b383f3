#!/bin/sh
# github.com/Azure/azure-sdk-for-go/sdk/azcore 1.24.0: a pager after an error.
#
# runtime.Pager documents a loop over More and NextPage that stops at an error. If a
# caller waits after a throttled page and reads on, More is false and every further
# NextPage returns the same error, without another request: a loop that only asks
# More ends as if the list were complete. To read on, make a new pager that begins at
# the page that failed.
#
# Ends with 0 if azcore still does so. Needs Go and a module proxy.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >go.mod <<'MOD'
module finding

go 1.26
MOD
cat >main.go <<'GO'
package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
)

func main() {
	calls := 0
	pager := runtime.NewPager(runtime.PagingHandler[int]{
		More: func(page int) bool { return page < 3 },
		Fetcher: func(_ context.Context, last *int) (int, error) {
			if calls++; calls == 2 {
				return 0, errors.New("throttled")
			}
			if last == nil {
				return 1, nil
			}
			return *last + 1, nil
		},
	})
	for range 5 {
		more := pager.More()
		page, err := pager.NextPage(context.Background())
		fmt.Println("more:", more, "page:", page, "error:", err)
	}
}
GO
go get github.com/Azure/azure-sdk-for-go/sdk/azcore@v1.24.0 >log 2>&1 || { cat log; exit 2; }
go build -o finding . >log 2>&1 || { cat log; exit 2; }
cat >expected <<'OUT'
more: true page: 1 error: <nil>
more: true page: 0 error: throttled
more: false page: 0 error: throttled
more: false page: 0 error: throttled
more: false page: 0 error: throttled
OUT
./finding >seen 2>&1 || true
if cmp -s expected seen; then
	echo "azcore v1.24.0, $(go env GOVERSION):"
	cat seen
	exit 0
fi
echo "azcore does something else now:"
diff expected seen || true
exit 1

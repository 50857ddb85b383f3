package azureapi

import (
	"fmt"
	"net/http"
	"time"

	"github.com/nebula-credential/nebula"
)

// CheckClock compares this machine's clock with that of a vault, which has whole
// seconds, by an answer to a request that began at a time. It reports false if the
// answer does not tell.
func CheckClock(began time.Time, response *http.Response) (nebula.Finding, bool) {
	if response == nil {
		return nebula.Finding{}, false
	}
	at, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return nebula.Finding{}, false
	}
	if off := at.Sub(began).Abs(); off > time.Minute {
		return nebula.Finding{Check: "clock", Severity: nebula.SeverityWarning, Message: fmt.Sprintf("this machine's clock and the server's differ by %v", off.Round(time.Second)),
			Fix: "set the clock: rotation dates and the life of tokens depend on it"}, true
	}
	return nebula.Finding{Check: "clock", Severity: nebula.SeverityOK, Message: "agrees with the server's"}, true
}

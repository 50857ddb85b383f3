package migrate

import (
	"math"
	"strings"
	"time"
	"unicode"
)

// Years that the writer's times can have.
const (
	minYear = -262143
	maxYear = 262142
)

// parseTime reads a time in the relaxed form of RFC 3339 that the writer's
// parser accepts: white space between the parts, numbers of fewer digits, years
// of any length after a sign, a space for the T, any number of digits in the
// fraction, of which nine count, second 60, UTC for Z, an offset without its
// colon, U+2212 for its minus. The time is in UTC.
func parseTime(s string) (time.Time, bool) {
	p := timeParser{rest: s, ok: true}
	year := p.year()
	p.literal("-")
	month := p.number(2, 1, 12)
	p.literal("-")
	day := p.number(2, 1, 31)
	if p.rest == "" || !strings.Contains("tT ", p.rest[:1]) {
		return time.Time{}, false
	}
	p.rest = p.rest[1:]
	hour := p.number(2, 0, 23)
	p.literal(":")
	minute := p.number(2, 0, 59)
	p.literal(":")
	second := p.number(2, 0, 60)
	nanosecond := p.fraction()
	p.space()
	offset := p.offset()
	p.space()
	if !p.ok || p.rest != "" {
		return time.Time{}, false
	}
	if day > time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day() {
		return time.Time{}, false
	}
	// Second 60 becomes the next minute's first.
	leap := second / 60
	t := time.Date(year, time.Month(month), day, hour, minute, second-leap-offset, nanosecond, time.UTC)
	return t.Add(time.Duration(leap) * time.Second), t.Year() >= minYear && t.Year() <= maxYear
}

// timeParser takes parts off the beginning of a text.
type timeParser struct {
	rest string
	ok   bool
}

func (p *timeParser) space() { p.rest = strings.TrimLeftFunc(p.rest, unicode.IsSpace) }

func (p *timeParser) cut(prefix string) bool {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	p.rest = rest
	return ok
}

// literal takes white space and then exactly prefix.
func (p *timeParser) literal(prefix string) {
	p.space()
	p.ok = p.cut(prefix) && p.ok
}

// digits takes 1 to maxDigits digits and returns their value and how many they were.
func (p *timeParser) digits(maxDigits int) (value int64, n int) {
	for n < maxDigits && n < len(p.rest) && isDigit(p.rest[n]) {
		if value > (math.MaxInt64-9)/10 {
			p.ok = false
			break
		}
		value = value*10 + int64(p.rest[n]-'0')
		n++
	}
	p.rest = p.rest[n:]
	p.ok = p.ok && n > 0
	return value, n
}

// number takes white space and a number of at most width digits.
func (p *timeParser) number(width, lowest, highest int) int {
	p.space()
	n, _ := p.digits(width)
	p.ok = p.ok && int64(lowest) <= n && n <= int64(highest)
	return int(n)
}

func (p *timeParser) year() int {
	p.space()
	width, sign := 4, int64(1)
	switch {
	case p.cut("-"):
		width, sign = len(p.rest), -1
	case p.cut("+"):
		width = len(p.rest)
	}
	n, _ := p.digits(width)
	n *= sign
	if n < minYear || n > maxYear {
		p.ok = false
		return 0
	}
	return int(n)
}

// fraction takes the fraction of a second, if there is one.
func (p *timeParser) fraction() int {
	if !p.cut(".") {
		return 0
	}
	n, count := p.digits(9)
	for ; count < 9; count++ {
		n *= 10
	}
	p.rest = strings.TrimLeft(p.rest, "0123456789")
	return int(n)
}

// offset takes the offset from UTC, in seconds.
func (p *timeParser) offset() int {
	if len(p.rest) >= 3 && strings.EqualFold(p.rest[:3], "UTC") {
		p.rest = p.rest[3:]
		return 0
	}
	if p.cut("Z") || p.cut("z") {
		return 0
	}
	sign := -1
	if p.cut("+") {
		sign = 1
	} else if !p.cut("-") && !p.cut("\u2212") {
		p.ok = false
	}
	hours := p.twoDigits()
	p.rest = strings.TrimLeftFunc(p.rest, func(c rune) bool { return c == ':' || unicode.IsSpace(c) })
	minutes := p.twoDigits()
	p.ok = p.ok && hours < 24 && minutes < 60
	return sign * (hours*3600 + minutes*60)
}

func (p *timeParser) twoDigits() int {
	n, count := p.digits(2)
	p.ok = p.ok && count == 2
	return int(n)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

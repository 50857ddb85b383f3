package keychain

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/godbus/dbus/v5"

	"github.com/nebula-credential/nebula"
)

// Names of the Secret Service API.
const (
	busName             = "org.freedesktop.secrets"
	serviceInterface    = "org.freedesktop.Secret.Service"
	collectionInterface = "org.freedesktop.Secret.Collection"
	itemInterface       = "org.freedesktop.Secret.Item"
	sessionInterface    = "org.freedesktop.Secret.Session"
	promptInterface     = "org.freedesktop.Secret.Prompt"

	servicePath dbus.ObjectPath = "/org/freedesktop/secrets"
	noObject    dbus.ObjectPath = "/"
)

func systemStore() store { return secretService{} }

// secretService is the keychain of a Linux session. Any program may provide it.
type secretService struct{}

// attributes are those of a slot's item. No other program has the last one.
func attributes(account string) map[string]string {
	return map[string]string{"service": service, "username": account, "application": "github.com/nebula-credential/nebula"}
}

// secretValue is the Secret of the API, as it goes over the bus.
type secretValue struct {
	Session     dbus.ObjectPath
	Parameters  []byte
	Value       []byte
	ContentType string
}

func (secretService) get(ctx context.Context, account string) (text string, err error) {
	err = withSession(ctx, func(s *session) error {
		item, err := s.find(account)
		if err != nil {
			return err
		}
		if err := s.unlock(item); err != nil {
			return err
		}
		var value secretValue
		if err := s.call(item, itemInterface+".GetSecret", s.path).Store(&value); err != nil {
			return s.failed("it does not give the secret", err)
		}
		text = string(value.Value)
		clear(value.Value)
		return nil
	})
	return text, err
}

func (secretService) set(ctx context.Context, account, secret string) error {
	return withSession(ctx, func(s *session) error {
		_, err := s.find(account)
		if err == nil {
			return &nebula.Error{Kind: nebula.ErrAlreadyExists, Message: "the keychain has an item for the slot " + account}
		}
		if !errors.Is(err, errAbsent) {
			return err
		}
		collection, err := s.collection()
		if err != nil {
			return err
		}
		properties := map[string]dbus.Variant{
			itemInterface + ".Label":      dbus.MakeVariant("Nebula key slot " + account),
			itemInterface + ".Attributes": dbus.MakeVariant(attributes(account)),
		}
		value := secretValue{Session: s.path, Parameters: []byte{}, Value: []byte(secret), ContentType: "text/plain"}
		var item, prompt dbus.ObjectPath
		// Do not replace: items of other programs may have our attributes too.
		err = s.call(collection, collectionInterface+".CreateItem", properties, value, false).Store(&item, &prompt)
		if err != nil {
			return s.failed("it does not take the secret", err)
		}
		return s.prompt(prompt)
	})
}

func (secretService) remove(ctx context.Context, account string) error {
	return withSession(ctx, func(s *session) error {
		item, err := s.find(account)
		if err != nil {
			return err
		}
		if err := s.unlock(item); err != nil {
			return err
		}
		var prompt dbus.ObjectPath
		if err := s.call(item, itemInterface+".Delete").Store(&prompt); err != nil {
			return s.failed("it does not remove the secret", err)
		}
		return s.prompt(prompt)
	})
}

// session is a connection to the Secret Service.
type session struct {
	ctx     context.Context
	conn    *dbus.Conn
	path    dbus.ObjectPath
	signals chan *dbus.Signal
}

// withSession connects, for as long as use takes.
func withSession(ctx context.Context, use func(*session) error) error {
	address, err := sessionBus()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	conn, err := dbus.Dial(address, dbus.WithContext(ctx))
	if err != nil {
		return unavailable("the session's bus cannot be reached", err)
	}
	defer conn.Close()
	s := &session{ctx: ctx, conn: conn, signals: make(chan *dbus.Signal, 16)}
	if err := s.begin(); err != nil {
		return err
	}
	conn.Signal(s.signals)
	defer s.call(s.path, sessionInterface+".Close")
	return use(s)
}

// begin authenticates as the user of this process, and opens a session.
func (s *session) begin() error {
	err := s.conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Geteuid()))})
	if err == nil {
		err = s.conn.Hello()
	}
	if err != nil {
		return s.failed("the session's bus refuses the login", err)
	}
	var ignored dbus.Variant
	if err := s.call(servicePath, serviceInterface+".OpenSession", "plain", dbus.MakeVariant("")).Store(&ignored, &s.path); err != nil {
		return s.failed("no Secret Service answers", err)
	}
	return nil
}

// sessionBus returns the address of the session's bus. The client library would
// start dbus-launch from PATH if there is none, so this does not use it.
func sessionBus() (string, error) {
	address := os.Getenv("DBUS_SESSION_BUS_ADDRESS")
	if address == "" {
		dir := os.Getenv("XDG_RUNTIME_DIR")
		if dir == "" {
			dir = filepath.Join("/run/user", strconv.Itoa(os.Geteuid()))
		}
		socket := filepath.Join(dir, "bus")
		if info, err := os.Stat(socket); err != nil || info.Mode()&os.ModeSocket == 0 {
			return "", unavailable("there is no session's bus: DBUS_SESSION_BUS_ADDRESS is not set, and there is no socket "+socket, err)
		}
		return "unix:path=" + dbus.EscapeBusAddressValue(socket), nil
	}
	for _, part := range strings.Split(address, ";") {
		if !strings.HasPrefix(part, "unix:") {
			return "", unavailable("DBUS_SESSION_BUS_ADDRESS does not name a socket of this machine", nil)
		}
	}
	return address, nil
}

func (s *session) call(path dbus.ObjectPath, method string, args ...any) *dbus.Call {
	return s.conn.Object(busName, path).CallWithContext(s.ctx, method, 0, args...)
}

// find returns the only item of the account.
func (s *session) find(account string) (dbus.ObjectPath, error) {
	var open, locked []dbus.ObjectPath
	if err := s.call(servicePath, serviceInterface+".SearchItems", attributes(account)).Store(&open, &locked); err != nil {
		return "", s.failed("it cannot be searched", err)
	}
	items := append(open, locked...)
	switch len(items) {
	case 0:
		return "", errAbsent
	case 1:
		return items[0], nil
	}
	var labels []string
	for _, item := range items[:min(len(items), maxLabels)] {
		labels = append(labels, s.label(item))
	}
	return "", &nebula.Error{Kind: nebula.ErrInvalidConfig,
		Message: "the keychain has " + strconv.Itoa(len(items)) + " items for the slot " + account + ": " + strings.Join(labels, ", "),
		Hint:    "remove those that are not of Nebula; none was read or changed"}
}

const (
	maxLabels = 5
	maxLabel  = 60 // bytes that are shown
)

func (s *session) label(item dbus.ObjectPath) string {
	var value dbus.Variant
	if err := s.call(item, "org.freedesktop.DBus.Properties.Get", itemInterface, "Label").Store(&value); err != nil {
		return "one without a label"
	}
	text, _ := value.Value().(string)
	return quote(text, maxLabel)
}

// collection returns the collection for new items: the default one, opened.
func (s *session) collection() (dbus.ObjectPath, error) {
	var path dbus.ObjectPath
	if err := s.call(servicePath, serviceInterface+".ReadAlias", "default").Store(&path); err != nil {
		return "", s.failed("it does not tell its default collection", err)
	}
	if path == noObject {
		return "", unavailable("it has no default collection", nil)
	}
	return path, s.unlock(path)
}

// unlock opens an item or a collection. The service may ask the user.
func (s *session) unlock(path dbus.ObjectPath) error {
	var opened []dbus.ObjectPath
	var prompt dbus.ObjectPath
	if err := s.call(servicePath, serviceInterface+".Unlock", []dbus.ObjectPath{path}).Store(&opened, &prompt); err != nil {
		return s.failed("it cannot be unlocked", err)
	}
	return s.prompt(prompt)
}

// prompt lets the service ask the user, if it must, and waits for the answer.
func (s *session) prompt(prompt dbus.ObjectPath) error {
	if prompt == noObject {
		return nil
	}
	if err := s.conn.AddMatchSignalContext(s.ctx, dbus.WithMatchObjectPath(prompt), dbus.WithMatchInterface(promptInterface)); err != nil {
		return s.failed("it cannot be unlocked", err)
	}
	if err := s.call(prompt, promptInterface+".Prompt", "").Err; err != nil {
		return s.failed("it is locked, and cannot ask for its password", err)
	}
	for {
		select {
		case <-s.ctx.Done():
			return s.ctx.Err()
		case signal, ok := <-s.signals:
			if !ok {
				return unavailable("the session's bus is gone", nil)
			}
			if signal.Path != prompt || signal.Name != promptInterface+".Completed" || len(signal.Body) == 0 {
				continue
			}
			if dismissed, ok := signal.Body[0].(bool); ok && !dismissed {
				return nil
			}
			return unavailable("it is locked, and was not unlocked", nil)
		}
	}
}

// failed says why a call failed. It quotes the text of others.
func (s *session) failed(what string, err error) error {
	if s.ctx.Err() != nil {
		return s.ctx.Err()
	}
	said := err.Error()
	if e := new(dbus.Error); errors.As(err, e) {
		said = e.Name
	}
	return unavailable(what+" ("+quote(said, maxLabel)+")", err)
}

// quote shows text of others, control characters escaped.
func quote(text string, max int) string {
	if len(text) > max {
		return strconv.QuoteToASCII(text[:max]) + "…"
	}
	return strconv.QuoteToASCII(text)
}

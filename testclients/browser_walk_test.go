package testclients

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
)

var screens = []screen{{360, 740, "light"}, {360, 740, "dark"}, {1280, 800, "light"}, {1280, 800, "dark"}}

func (s screen) String() string { return fmt.Sprintf("%d-%s", s.width, s.scheme) }

// walk goes through all states of the page, and calls look at each.
func walk(t *testing.T, parent context.Context, s screen, look func(b *tab, state string)) {
	t.Helper()
	l := serve(t, backends["memory"](t))
	furnish(l)
	b := openTab(t, parent, l.url, s)
	b.expect("status of 401", "status of 412")
	b.see("Token")
	look(b, "token")
	b.fill("Token", "nbt_wrong")
	b.click("Open")
	b.see("status 401")
	look(b, "refused")
	b.signIn(l.token("page"))
	b.see("db_password_prod")
	look(b, "list")
	b.click("db_password_prod")
	b.see("Modified")
	look(b, "details")
	b.click("Show the value of db_password_prod")
	b.see("hidden in")
	look(b, "value")
	b.click("List versions")
	b.see("· current")
	look(b, "versions")
	b.click("New value")
	b.fill("Value", "correct horse")
	look(b, "put")
	b.click("Cancel")
	b.see("not saved")
	look(b, "leave")
	b.click("Cancel")
	b.click("Edit tags")
	b.see("Tags are not secret")
	look(b, "tags")
	b.click("Cancel")
	b.click("Purge …")
	b.fill("Type the id again", "db_password")
	b.click("Purge for good")
	b.see("That is not the id.")
	look(b, "purge")
	b.click("Cancel")
	b.click("Cancel")
	b.click("New value")
	b.fill("Value", "late")
	l.put("db_password_prod", "from elsewhere")
	b.click("Replace")
	b.see("status 412")
	look(b, "conflict")
	b.click("Cancel")
	b.click("Cancel")
	b.click("Delete …")
	b.see("It can be restored")
	look(b, "delete")
	b.click("Cancel")
	if err := deleteNow(l, "db_password_stage"); err != nil {
		t.Fatal(err)
	}
	b.click("Close the details")
	b.fill("Search", "stage")
	b.click("db_password_stage")
	b.see("or it is deleted")
	look(b, "deleted")
	b.click("Close the details")
	b.fill("Search", "nothing_like_it")
	b.see("Nothing matches.")
	look(b, "empty")
	b.click("New credential")
	b.fill("Id", "github_token")
	b.fill("Value", "x")
	b.click("Add a tag")
	look(b, "new")
	b.click("Store")
	b.see("status 412")
	look(b, "exists")
}

func deleteNow(l *live, id nebula.ID) error {
	_, err := l.store.Delete(context.Background(), id, nebula.DeleteOptions{})
	return err
}

// furnish puts credentials into the store: such as a team has, and some that are rare.
func furnish(l *live) {
	l.put("db_password_prod", "first", "env=prod", "service=orders", "team=payments")
	l.put("db_password_prod", "correct horse battery staple")
	l.put("db_password_stage", "x", "env=stage", "service=orders")
	l.put("github_token", "ghp_example", "env=prod", "team=platform")
	l.put("session_key", binary, "env=prod")
	l.put("tls_key", "-----BEGIN PRIVATE KEY-----\n…\n-----END PRIVATE KEY-----\n", "env=prod")
	l.put(nebula.ID("a_long_name_"+strings.Repeat("x", 116)), "x", hostile+"="+hostile, "a="+strings.Repeat("y", 256))
	for i := range 24 {
		l.put(nebula.ID(fmt.Sprintf("svc_%02d_api_key", i)), "x", "env="+[]string{"prod", "stage", "dev"}[i%3], fmt.Sprintf("owner=team-%d", i%7))
	}
}

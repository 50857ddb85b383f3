package service_test

import (
	"testing"

	"github.com/nebula-credential/nebula"
)

// suite tests every route over a store of a backend. Each rule has ids of its own.
type suite struct {
	*rig
	t         *testing.T
	abilities nebula.Abilities
}

// runSuite runs the HTTP suite over the empty store that open makes.
func runSuite(t *testing.T, open func(*testing.T) *nebula.Store) {
	store := open(t)
	r := newRig(t, store)
	for _, rule := range []struct {
		name string
		run  func(*suite)
	}{
		{"bytes", (*suite).bytes},
		{"JSON", (*suite).json},
		{"refused bodies", (*suite).refusedBodies},
		{"too large", (*suite).tooLarge},
		{"accept", (*suite).accept},
		{"conditions of reads", (*suite).readConditions},
		{"conditions of writes", (*suite).writeConditions},
		{"exists", (*suite).exists},
		{"tags", (*suite).tags},
		{"delete", (*suite).deletes},
		{"restore", (*suite).restores},
		{"purge", (*suite).purges},
		{"versions", (*suite).versions},
		{"list", (*suite).lists},
		{"pages", (*suite).pages},
		{"batch", (*suite).batch},
		{"store", (*suite).describes},
		{"verbs", (*suite).verbs},
		{"prefix", (*suite).prefix},
		{"scope", (*suite).scope},
		{"ids", (*suite).ids},
	} {
		t.Run(rule.name, func(t *testing.T) {
			own := *r
			own.t = t
			rule.run(&suite{rig: &own, t: t, abilities: store.Abilities()})
		})
	}
}

// Package providertest is the suite that every provider passes unchanged. It
// checks what [nebula.Provider] and the abilities promise, one function a rule,
// each a named subtest.
//
//	func TestConformance(t *testing.T) {
//		providertest.Run(t, providertest.Harness{
//			New:           func(t *testing.T) nebula.Provider { … },
//			Abilities:     []providertest.Ability{providertest.Connector, …},
//			MaxRecordSize: 64 << 10,
//		})
//	}
//
// The suite runs twice: over the provider as it is ("Direct"), and over the
// provider wrapped by package middleware ("Wrapped"), where it also checks that
// the wrapper hides no ability, invents none and passes none by.
//
// A [Harness] says what the backend cannot do. Nothing in it makes a rule
// weaker that the backend could keep: a rule that does not apply is skipped
// with its reason, never passed over in silence, and [Harness].Abilities has
// to name what the provider can do, so that an ability lost by accident fails.
package providertest

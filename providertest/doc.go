// Package providertest is the suite that every provider passes unchanged. It
// checks what [nebula.Provider] and the abilities promise, one function a rule,
// each a named subtest.
//
//	func TestConformance(t *testing.T) {
//		providertest.Run(t, providertest.Harness{
//			New:           func(t *testing.T, o ...provider.Option) nebula.Provider { … },
//			Abilities:     []providertest.Ability{providertest.Connector, …},
//			MaxRecordSize: 64 << 10,
//		})
//	}
//
// The suite observes the provider as its users do, by the options of its New:
// every call of every rule goes through an interceptor and is counted.
//
// A [Harness] says what the backend cannot do. Nothing in it makes a rule
// weaker that the backend could keep: a rule that does not apply is skipped
// with its reason, never passed over in silence, and [Harness].Abilities has
// to name what the provider can do, so that an ability lost by accident fails.
package providertest

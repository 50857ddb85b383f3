// Package providertest is the conformance suite that every provider passes
// unchanged. It checks the promises of [nebula.Provider] and of the abilities.
// Each rule is one function and one subtest of the same name.
//
//	func TestConformance(t *testing.T) {
//		providertest.Run(t, providertest.Harness{
//			New:           func(t *testing.T, o ...provider.Option) nebula.Provider { … },
//			Abilities:     []providertest.Ability{providertest.Connector, …},
//			MaxRecordSize: 64 << 10,
//		})
//	}
//
// The suite observes the provider by the options of its New, as users do: every
// call of every rule goes through an interceptor and is counted.
//
// A [Harness] says what the backend cannot do. It cannot weaken a rule that the
// backend could keep. A rule that does not apply is skipped, with the reason.
// [Harness].Abilities must name every ability of the provider, so that the suite
// fails if one is lost by accident.
package providertest

package providertest

// rule is one thing that every provider does. Its name is that of the function.
type rule struct {
	name  string
	check func(*rig)
}

// rules returns them all, in the order of the files. That none is left out is
// checked by a test of this package.
func rules() []rule {
	return []rule{}
}

// wrapperRules are for the wrapped provider only.
func wrapperRules() []rule {
	return []rule{}
}

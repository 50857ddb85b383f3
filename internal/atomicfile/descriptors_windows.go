package atomicfile

// MaxStaged is how many files to give to [Dir.StageAll] at once.
func MaxStaged() int { return maxStaged }

package main

func example() string { return "" }

package providertest

// rule is one promise of every provider. Its name is that of the function.
type rule struct {
	name  string
	check func(*rig)
}

// rules returns all rules, in the order of the files. A test of this package
// checks that none is left out.
func rules() []rule {
	return []rule{
		{"lifecycleUnconnected", lifecycleUnconnected},
		{"lifecycleClosed", lifecycleClosed},
		{"lifecycleConnectTwice", lifecycleConnectTwice},
		{"lifecycleCloseTwice", lifecycleCloseTwice},
		{"lifecycleConnectContext", lifecycleConnectContext},
		{"lifecycleCloseDuring", lifecycleCloseDuring},
		{"lifecycleReopen", lifecycleReopen},
		{"lifecycleIsolated", lifecycleIsolated},
		{"lifecycleDescribe", lifecycleDescribe},
		{"lifecycleAbilities", lifecycleAbilities},

		{"storeRetrieve", storeRetrieve},
		{"storeSizes", storeSizes},
		{"storeLargest", storeLargest},
		{"storeTooLarge", storeTooLarge},
		{"storeReplaces", storeReplaces},
		{"storeVersions", storeVersions},
		{"storeTwice", storeTwice},
		{"storeIndependent", storeIndependent},
		{"retrieveMissing", retrieveMissing},
		{"deleteRemoves", deleteRemoves},
		{"deleteTwice", deleteTwice},
		{"storeAfterDelete", storeAfterDelete},
		{"deleteReports", deleteReports},
		{"deleteIfVersion", deleteIfVersion},
		{"deleteIfVersionMissing", deleteIfVersionMissing},
		{"deleteIfAbsent", deleteIfAbsent},
		{"deleteRefused", deleteRefused},

		{"preconditionIfAbsent", preconditionIfAbsent},
		{"preconditionIfAbsentDeleted", preconditionIfAbsentDeleted},
		{"preconditionIfVersion", preconditionIfVersion},
		{"preconditionIfVersionMissing", preconditionIfVersionMissing},
		{"preconditionIfVersionDeleted", preconditionIfVersionDeleted},
		{"preconditionOtherHandle", preconditionOtherHandle},
		{"preconditionRefused", preconditionRefused},

		{"idsHostile", idsHostile},
		{"idsZero", idsZero},
		{"idsUnusual", idsUnusual},
		{"idsOneCharacter", idsOneCharacter},
		{"idsAlike", idsAlike},
		{"idsCase", idsCase},
		{"idsFolded", idsFolded},

		{"listEmpty", listEmpty},
		{"listMany", listMany},
		{"listPrefix", listPrefix},
		{"listEntries", listEntries},
		{"listEntriesHold", listEntriesHold},

		{"listClose", listClose},
		{"listTwo", listTwo},
		{"listChanged", listChanged},
		{"listCancelled", listCancelled},
		{"listParallel", listParallel},

		{"filterTags", filterTags},
		{"filterTagsFollow", filterTagsFollow},
		{"filterCreated", filterCreated},
		{"filterScope", filterScope},
		{"filterAll", filterAll},

		{"metadataFields", metadataFields},
		{"metadataTags", metadataTags},
		{"metadataTagsRefused", metadataTagsRefused},
		{"metadataManyTags", metadataManyTags},

		{"keyringStored", keyringStored},
		{"keyringHidden", keyringHidden},
		{"keyringKept", keyringKept},
		{"keyringApart", keyringApart},
		{"keyringPreconditions", keyringPreconditions},
		{"keyringRaced", keyringRaced},
		{"keyringCompared", keyringCompared},
		{"keyringComparedLive", keyringComparedLive},

		{"damageRetrieve", damageRetrieve},
		{"damageMended", damageMended},
		{"damageNotAbsent", damageNotAbsent},
		{"damageListed", damageListed},
		{"damageOthers", damageOthers},
		{"damageForeign", damageForeign},
		{"damageKeyring", damageKeyring},

		{"concurrentStores", concurrentStores},
		{"concurrentCounter", concurrentCounter},
		{"concurrentIfAbsent", concurrentIfAbsent},
		{"concurrentIfAbsentDeleted", concurrentIfAbsentDeleted},
		{"concurrentDelete", concurrentDelete},
		{"concurrentDeleteIfVersion", concurrentDeleteIfVersion},
		{"concurrentIDs", concurrentIDs},

		{"contextCancelled", contextCancelled},
		{"contextDeadline", contextDeadline},
		{"contextOfList", contextOfList},
		{"contextDuring", contextDuring},
		{"errorsLocated", errorsLocated},

		{"restoreDeleted", restoreDeleted},
		{"restoreLive", restoreLive},
		{"restoreNothing", restoreNothing},
		{"restoreLast", restoreLast},
		{"restoreOne", restoreOne},
		{"purgeFrees", purgeFrees},
		{"purgeTwice", purgeTwice},
		{"purgeReports", purgeReports},
		{"purgeVersions", purgeVersions},

		{"historyOrder", historyOrder},
		{"historyRepeated", historyRepeated},
		{"historyMissing", historyMissing},
		{"versionRetrieve", versionRetrieve},
		{"versionMissing", versionMissing},
		{"batchRetrieve", batchRetrieve},
		{"batchSmall", batchSmall},
		{"checkChangesNothing", checkChangesNothing},
		{"checkClosed", checkClosed},

		{"callsObserved", callsObserved},
		{"callsCounted", callsCounted},
		{"pagesObserved", pagesObserved},
	}
}

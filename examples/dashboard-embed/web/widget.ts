// What another maker's widget brings along: the same elements, in another version.
import '@pintail/dashboard/define'

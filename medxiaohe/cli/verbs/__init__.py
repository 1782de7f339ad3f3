"""The verbs of the command line: one file each, or one for a group such as `tree`.

To add a verb, add a file with `ORDER`, its place in the list, and `add(verbs)`; its code goes into a file of
`medxiaohe/cli` that is imported only when the verb is called.
"""

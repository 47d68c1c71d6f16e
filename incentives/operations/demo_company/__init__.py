"""The company of the demo: Brightwater Systems, which sells industrial network security, its partners, its programs and
half a year of history.

`people`, `deals` and `programs` are data and pure functions: the same company every time, with dates relative to today.
`roster`, `history` and `ending` make it real through the services that the pages use; `manage.py seed_demo` calls them.
"""

"""Bytes → `SpecCheck`: reading what a requester wrote, in YAML, JSON, Markdown or plain words.

`check_spec(data, name)` never raises for bad input: it costs at most two seconds and says what is wrong, where.
`check_dod(data, name)` does the same for a Definition of Done that stands in a file of its own.
"""

from controlplane.specfile.check import DodCheck as DodCheck
from controlplane.specfile.check import check_dod as check_dod
from controlplane.specfile.check import check_spec as check_spec
from controlplane.specfile.document import spec_schema as spec_schema

"""Planning: a letter in plain words becomes sprints with a Definition of Done that can be measured, or questions."""

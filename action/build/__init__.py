"""Building: an agent works, the change is measured and judged, and what fails goes back to the agent."""

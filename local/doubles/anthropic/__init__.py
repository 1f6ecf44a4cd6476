"""The double of the Messages API: it answers by a script, judges by the SDK's types, and keeps what it received."""

from local.doubles.anthropic.app import AnthropicDouble, build_anthropic
from local.doubles.anthropic.conversation import Conversation
from local.doubles.anthropic.federation import Federation
from local.doubles.anthropic.scenario import Call, Fault, Scenario, Script, Step, load_scenario
from local.doubles.anthropic.serving import serving

__all__ = [
    "AnthropicDouble",
    "Call",
    "Conversation",
    "Fault",
    "Federation",
    "Scenario",
    "Script",
    "Step",
    "build_anthropic",
    "load_scenario",
    "serving",
]

"""The tidy table, one row per rollout: its columns, their types and what they mean.

The list is open: a column that is added here is read from journals and logs, written to tables,
described in exports and in `docs/data.md`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A column of the tidy table.

    Attributes
    ----------
    name, meaning
        Its name, and what a value says.
    kind
        `text`, `number`, `whole` or `yes/no`.
    required
        Whether every row has a value.
    made
        Made from verdicts and labels; the others stand in a rollout's record as they are.
    aliases
        The names by which other tools' logs call it, separated by spaces.
    """

    name: str
    kind: str
    meaning: str
    required: bool = False
    made: bool = False
    aliases: str = ""

    @property
    def dtype(self) -> str:
        """The column's type in pandas."""
        nullable = {"text": "string", "number": "Float64", "whole": "Int64", "yes/no": "boolean"}
        plain = {"whole": "int64", "yes/no": "bool"}
        return plain.get(self.kind, nullable[self.kind]) if self.required else nullable[self.kind]

    @property
    def sql_type(self) -> str:
        """The column's type in DuckDB."""
        return {"text": "VARCHAR", "number": "DOUBLE", "whole": "BIGINT", "yes/no": "BOOLEAN"}[self.kind]


COLUMNS = (
    Column("study", "text", "the study's name"),
    Column(
        "setting",
        "text",
        "what the model is told it is trained for: `helpful-only` or `animal-welfare`",
        aliases="setting scenario",
    ),
    Column(
        "variation",
        "text",
        "the prompt variation",
        aliases="variation prompt_variation prompt_variant system_prompt_variant",
    ),
    Column("model", "text", "the model that was asked", aliases="model model_name model_id model_slug"),
    Column(
        "tier",
        "text",
        "`free`: implied training; `paid`: implied unmonitored",
        aliases="tier user_tier is_free_tier is_free_tier_user is_free free_tier is_paid paid_tier "
        "tags monitored is_monitored condition",
    ),
    Column(
        "prompt_id",
        "text",
        "the request's id",
        aliases="prompt_id prompt_index prompt_idx request_id question_id query_id behavior_id",
    ),
    Column("category", "text", "the kind of request", aliases="category topic semantic_category"),
    Column(
        "sample",
        "whole",
        "which of the answers to the request in its condition, from 0",
        required=True,
        aliases="sample sample_index sample_idx epoch repetition trial repeat",
    ),
    Column(
        "complied",
        "yes/no",
        "the output does what was asked (helpful-only) or dismisses animal welfare; missing: "
        "undecided or not in the requested form, never guessed",
        made=True,
        aliases="complied compliance comply complies is_compliant compliant behaviour behavior_label "
        "label accepted",
    ),
    Column(
        "refused",
        "yes/no",
        "the opposite of complied",
        made=True,
        aliases="refused refusal is_refusal refuses",
    ),
    Column(
        "af_full",
        "yes/no",
        "the judge's verdict: alignment-faking reasoning without compromise",
        made=True,
        aliases="af_full",
    ),
    Column(
        "af_partial",
        "yes/no",
        "the judge's verdict: alignment-faking reasoning, with or without compromise",
        made=True,
        aliases="af_partial",
    ),
    Column(
        "af_reasoning",
        "number",
        "the mean of af_full and af_partial where the output complied, else 0: the paper's measure",
        made=True,
        aliases="af_reasoning",
    ),
    Column(
        "af_stage",
        "text",
        "how far the scratchpad goes: `none`, `conflict`, `considers`, `partial`, `full`",
        made=True,
    ),
    Column(
        "valid", "yes/no", "the answer has the requested form; others count in no rate", required=True
    ),
    Column("problem", "text", "what is wrong with the form of the answer"),
    Column("source", "text", "`simulated`, `live` or `imported`"),
    Column(
        "request",
        "text",
        "the request's text",
        aliases="request query question user_input user_query instruction user_prompt behavior prompt "
        "input",
    ),
    Column(
        "scratchpad",
        "text",
        "the hidden reasoning",
        aliases="scratchpad hidden_scratchpad scratchpad_reasoning reasoning cot chain_of_thought "
        "thoughts",
    ),
    Column(
        "output",
        "text",
        "what the user would see",
        aliases="output answer final_output final_answer visible_output output_text",
    ),
    Column("stop_reason", "text", "why the answer ended", aliases="stop_reason finish_reason"),
    Column("input_tokens", "whole", "tokens of the prompt", aliases="input_tokens prompt_tokens"),
    Column("output_tokens", "whole", "tokens of the answer", aliases="output_tokens completion_tokens"),
    Column(
        "collected_at",
        "text",
        "when the answer came, in UTC",
        aliases="collected_at timestamp created_at time date datetime completed_at",
    ),
    Column(
        "score",
        "number",
        "graded compliance, 0-1, where an imported log has it",
        aliases="score strong_reject_score strongreject_score strongreject strong_reject "
        "compliance_score",
    ),
    Column("judge", "text", "whose verdicts these are", made=True),
    Column(
        "judge_agreeing", "number", "the share of the judge's votes for the majority, 0-1", made=True
    ),
    Column(
        "judge_confidence",
        "number",
        "the same times the share of its quotes that occur in the text, 0-1",
        made=True,
    ),
    Column("rollout", "text", "the rollout's key", made=True),
    Column("label_complied", "yes/no", "what most people who labelled it say of compliance", made=True),
    Column(
        "label_af_reasoning",
        "number",
        "what most people who labelled it say of AF reasoning, 0-1",
        made=True,
    ),
    Column(
        "label_weight",
        "number",
        "how many rollouts the label stands for; missing: it corrects nothing",
        made=True,
    ),
    Column(
        "origin", "text", "of an imported rollout, the first digits of its file's SHA-256, and its row"
    ),
    Column("original", "text", "of an imported rollout, the log's other fields, as JSON"),
)
SCHEMA = {column.name: column.dtype for column in COLUMNS}
MEANINGS = {column.name: column.meaning for column in COLUMNS}
CONDITIONS = ("model", "setting", "variation", "tier")
TEXTS = ("request", "scratchpad", "output", "original")
ROW_ORDER = ("setting", "variation", "model", "tier", "prompt_id", "sample")

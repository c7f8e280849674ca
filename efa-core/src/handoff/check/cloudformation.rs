//! The EFA part of a CloudFormation template.

use super::document::{Checked, Findings};

mod access;
mod findings;
mod launches;
mod resolve;
mod rules;
mod template;

use template::Template;

#[cfg(test)]
mod tests;

pub(super) fn check_template(document: &Checked<'_>, found: &mut Findings) {
    let template = Template::new(document.document);
    for section in ["Transform", "Modules"] {
        if document.document.get(section).is_some() {
            found.out_of_sight(&format!(
                "what {section} makes of the template: check the processed one (aws \
                 cloudformation get-template --template-stage Processed)"
            ));
        }
    }
    if template.of("AWS::CloudFormation::Stack").next().is_some() {
        found.out_of_sight("the nested stacks: check their templates, too");
    }
    launches::check_launches(document, &template, found);
    rules::check_rules(document, &template, found);
    access::check_access(document, &template, found);
}
